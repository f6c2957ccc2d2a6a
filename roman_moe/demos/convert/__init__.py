"""Demonstrations in other projects' formats, and back. Their libraries are imported in their own modules alone."""
