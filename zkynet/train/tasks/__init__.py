"""The tasks that ``zkynet train`` knows, one module each."""

__all__: list[str] = []
