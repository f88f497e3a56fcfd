"""The pages of docs/reference, written from the code by ``nox -s order``: one module a page, or a group of pages."""
