"""Training by several processes ("ranks"), each on rows of its own: what they exchange, and who has which rows.

`Ranks` is what training needs of them. nncore.distributed has the one that people use.
"""
