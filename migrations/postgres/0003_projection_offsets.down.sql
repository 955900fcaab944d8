-- stele:loses-data
DROP TABLE projection_offsets;
