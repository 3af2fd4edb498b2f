"""The operators, and the functions that apply them: one file a family. ``op`` is the list of their names."""
