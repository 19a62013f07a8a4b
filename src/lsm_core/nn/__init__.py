"""Network blocks, written against the papers: equations only."""
