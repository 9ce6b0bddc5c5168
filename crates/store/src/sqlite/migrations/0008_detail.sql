-- What only the page of one call shows, packed. The text columns it takes the place of are still read from rows written
-- before; `cost` and `control` are written where they change later, and then go before the detail.

ALTER TABLE requests ADD COLUMN detail BLOB;
