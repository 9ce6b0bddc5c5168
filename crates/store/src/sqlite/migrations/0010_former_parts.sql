-- What of a former cost was paid for each part, so that sums as they were once known have them too.

ALTER TABLE former_costs ADD COLUMN input_nano INTEGER;
ALTER TABLE former_costs ADD COLUMN cache_read_nano INTEGER;
ALTER TABLE former_costs ADD COLUMN cache_write_nano INTEGER;
ALTER TABLE former_costs ADD COLUMN output_nano INTEGER;
