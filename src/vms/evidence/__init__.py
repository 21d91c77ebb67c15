"""Proving that footage is what was recorded: keys, signatures, verification."""
