"""The board as a site of files: one page to sort, bound and compare, a page for each method, row, task and document."""
