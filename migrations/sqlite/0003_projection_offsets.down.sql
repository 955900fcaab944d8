-- stele:loses-data
DROP TABLE dead_letters;
DROP TABLE projection_members;
DROP TABLE projection_offsets;
DROP TABLE projections;
