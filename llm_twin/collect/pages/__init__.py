"""From a page to a post: where the author's words stand on a site, and which of its pages are posts."""
