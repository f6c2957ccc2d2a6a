"""From scene to command: observer, gating network, experts, blender."""
