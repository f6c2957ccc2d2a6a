"""The arms' nodes: lab, mock and bridge; and the pose source."""
