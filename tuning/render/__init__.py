"""How a report looks: pictures, a page, tables, files. Everything is a function of a `Report`."""
