"""What a person rehearses by hand before it is needed: figures, no tests."""
