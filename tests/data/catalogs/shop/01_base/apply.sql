create type order_state as enum ('open', 'paid', 'sent');
create domain email as text check (value like '%@%');
create table customers (
    id serial primary key,
    name varchar(80) not null,
    mail email unique,
    since date not null default current_date
);
create table products (
    id serial primary key,
    sku varchar(20) not null unique,
    price numeric(10, 2) not null check (price >= 0),
    kind varchar(10) default 'plain' check (kind in ('plain', 'fancy'))
);
comment on table products is 'What is sold';
