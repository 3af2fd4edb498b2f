"""NumPy's names and signatures over the operations of ``op``: what ``zkynet.numpy`` offers, one file a family.

It stands in the framework because NumPy's own functions, called on a Tensor, are sent here (``numpy_dispatch``).
"""
