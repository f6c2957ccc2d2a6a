"""Kitting: a tile and a pin go into a tray, then a lock is turned."""
