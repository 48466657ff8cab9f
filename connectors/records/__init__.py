"""What vendors' records have in common, whatever they speak: their words, instants, pages and cursors, and what an absence means."""
