"""lossfloor."""
