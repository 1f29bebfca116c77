"""Templates and static files of the pages; data of the room `api`, shipped inside the package."""
