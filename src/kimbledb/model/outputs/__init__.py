"""The outputs of a report: text, HTML and JSON, each a module with one function ``write()``.

An output is made of a report's tables (``as_tables()``) or of its values (``as_dict()``), and knows no report by name.
"""
