"""mtlrepro: five multi-task-learning papers, reproduced.

The package holds what the notebooks reuse. Data flows one way:
manifests -> data -> models and methods -> training -> results -> notebooks -> book.
"""

__version__ = "0.1.0"
