"""Pages, one module per kind of work. Each view: find, permit, form, one act, render."""
