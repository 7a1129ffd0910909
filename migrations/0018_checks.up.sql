-- What the checks of the books found when they ran last.
create table book_check (
  name text primary key, -- I2
  ran_at timestamptz not null,
  figures jsonb not null, -- [{"name": "batches", "n": 12}]
  wrong bigint not null, -- how much does not hold
  problems jsonb not null -- some of what does not, as texts
);
