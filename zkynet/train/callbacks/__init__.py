"""Callbacks: what a run tells, keeps and decides while it goes on."""

__all__: list[str] = []
