"""The learned estimator: from labelled images to the network that says where objects are."""
