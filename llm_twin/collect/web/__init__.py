"""What the collector asks of the web: where the pages of a site are, asked for politely and safely."""
