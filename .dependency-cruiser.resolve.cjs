/**
 * How the boundary checker finds files, in the form it reads. Without this it would follow `#core/...` through the
 * `imports` of package.json into `dist` as soon as there is one, and see nothing of the sources any more.
 */
module.exports = { resolve: { importsFields: [] } };
