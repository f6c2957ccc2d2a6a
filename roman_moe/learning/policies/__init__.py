"""What a network is: the policy as a torch module, its geometry, and the same policy as an ONNX graph."""
