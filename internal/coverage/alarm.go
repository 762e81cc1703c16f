package coverage

import "keywatch/internal/inventory"

// What exists is read elsewhere and is plain data of the inventory.
type (
	Alarm = inventory.Alarm
	Query = inventory.Query
)
