-- What the allowed statements read of pgvector.
create table items (id int primary key, embedding vector(3), half halfvec(3), sparse sparsevec(5));
insert into items values (1, '[1,2,3]', '[1,2,3]', '{1:1,3:2}/5'), (2, '[4,5,6]', '[4,5,6]', '{2:3}/5'), (3, '[1,1,1]', '[0,0,1]', '{}/5');
create index on items using hnsw (embedding vector_l2_ops);
create index on items using ivfflat (embedding vector_cosine_ops) with (lists = 1);
analyze;
