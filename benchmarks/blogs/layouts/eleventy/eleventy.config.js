const notes = require("markdown-it-footnote");
const highlight = require("@11ty/eleventy-plugin-syntaxhighlight");
module.exports = function (config) {
  config.amendLibrary("md", (md) => md.use(notes));
  config.addCollection("posts", (api) => api.getFilteredByGlob("src/posts/*.md").reverse());
  config.addFilter("day", (date) => date.toISOString().slice(0, 10));
  if (highlight.default || typeof highlight === "function") config.addPlugin(highlight.default || highlight);
};
