-- stele:loses-data
ALTER TABLE projections DROP COLUMN kind;
