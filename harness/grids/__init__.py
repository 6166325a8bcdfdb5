"""The grids that come with the project, YAML files."""
