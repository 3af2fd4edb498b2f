"""What is timed, against which libraries, and how: for ``zkynet bench`` and the files of bench/."""
