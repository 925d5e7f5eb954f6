"""Images, neural recordings and behavioural scores, read from files and checked.

Import from the modules: planning a workflow needs `recordings.list_regions` without pandas or xarray, and a
step that opens no image is not to be rerun when the code that draws one changes.
"""
