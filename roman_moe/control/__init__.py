"""The controller at run time: bundle (manifest + ONNX), network, gate, expert, blend. numpy and onnxruntime only."""
