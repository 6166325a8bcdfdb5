"""Tables, numbers and the page, whatever they show."""
