"""A model, a data set and a metric: a template of a package of plug-ins."""
