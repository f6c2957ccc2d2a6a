"""ROMAN's laboratory: seven skills that bring a rack with a vial to an analyser."""
