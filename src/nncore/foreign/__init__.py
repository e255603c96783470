"""Names from PyTorch, Keras and scikit-learn, and what is used here instead. Messages about unknown names look them up.

Nothing here is read before a name has failed. A name that nncore has never reaches these tables.
"""
