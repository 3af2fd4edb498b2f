"""What several test files share; importable as ``support`` (``pythonpath`` in setup.cfg)."""
