"""How results are shown: numbers, tables and pictures, for every kind of result alike."""
