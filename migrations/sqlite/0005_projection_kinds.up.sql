-- What each name is used for, so that nothing else uses it. Unknown for one from before: whoever opens it next says it.

ALTER TABLE projections ADD COLUMN kind TEXT CHECK (kind IN ('projection', 'subscription', 'relay', 'inline'));
