#include "inventory.h"

#include <stele/driver/driver.h>
#include <stele/soci.h>

#include <nlohmann/json.hpp>

namespace inventory {
namespace {

/// SQL Server's T-SQL says some things in its own way.
bool is_t_sql(soci::session& sql) {
  return sql.get_backend_name() == "odbc";
}

/// What an event does to a quantity.
struct Change {
  bool absolute = false;  ///< Somebody counted.
  std::int64_t number = 0;
};

Change change_of(const stele::RecordedEvent& event) {
  const nlohmann::json data = event.data.value();
  if (event.type == "StockCounted") return {true, data.at("counted").get<std::int64_t>()};
  const auto quantity = data.at("quantity").get<std::int64_t>();
  return {false, event.type == "ItemShipped" ? -quantity : quantity};
}

}  // namespace

stele::LogFilter InventoryStock::filter() const {
  stele::LogFilter filter;
  filter.stream_types = {"item"};
  filter.event_types = {"ItemReceived", "ItemShipped", "StockCounted"};
  return filter;
}

std::string InventoryStock::table_of(const stele::ProjectionContext& context) const {
  return prefix_ + "inventory_stock_" + std::to_string(context.generation());
}

void InventoryStock::create(stele::ProjectionContext& context) {
  soci::session& sql = stele::sql(context);
  const std::string table = table_of(context);
  const std::string text = is_t_sql(sql) ? "NVARCHAR" : "VARCHAR";
  sql << (is_t_sql(sql) ? "IF OBJECT_ID(N'" + table + "') IS NULL CREATE TABLE " : "CREATE TABLE IF NOT EXISTS ") +
             table + " (workspace " + text + "(64) NOT NULL, item " + text +
             "(256) NOT NULL, quantity BIGINT NOT NULL,"
             " last_event VARCHAR(36) NOT NULL, last_position BIGINT NOT NULL,"
             " PRIMARY KEY (workspace, item))";
}

void InventoryStock::apply(const stele::RecordedEvent& event, stele::ProjectionContext& context) {
  const Change change = change_of(event);
  const std::string table = table_of(context);
  const long long number = change.number;
  const long long position = event.position.value();
  const std::string event_id = event.event_id.to_string();
  soci::session& sql = stele::sql(context);
  if (is_t_sql(sql)) {
    // One handler at a time writes to a row: who has the checkpoint's lease.
    sql << "DECLARE @workspace NVARCHAR(64), @item NVARCHAR(256), @quantity BIGINT, @event VARCHAR(36),"
           " @position BIGINT;"
           " SET @workspace = :workspace; SET @item = :item; SET @quantity = :quantity; SET @event = :event;"
           " SET @position = :position;"
           " UPDATE " +
               table + " SET quantity = " + (change.absolute ? "" : "quantity + ") +
               "@quantity, last_event = @event, last_position = @position"
               " WHERE workspace = @workspace AND item = @item;"
               " IF @@ROWCOUNT = 0 INSERT INTO " +
               table +
               " (workspace, item, quantity, last_event, last_position)"
               " VALUES (@workspace, @item, @quantity, @event, @position)",
        soci::use(event.stream.tenant, "workspace"), soci::use(event.stream.id, "item"), soci::use(number, "quantity"),
        soci::use(event_id, "event"), soci::use(position, "position");
    return;
  }
  const std::string before = change.absolute ? "" : table + ".quantity + ";
  sql << "INSERT INTO " + table + " (workspace, item, quantity, last_event, last_position)" +
             " VALUES (:workspace, :item, :quantity, :event, :position)"
             " ON CONFLICT (workspace, item) DO UPDATE SET quantity = " +
             before +
             "excluded.quantity, last_event = excluded.last_event,"
             " last_position = excluded.last_position",
      soci::use(event.stream.tenant, "workspace"), soci::use(event.stream.id, "item"), soci::use(number, "quantity"),
      soci::use(event_id, "event"), soci::use(position, "position");
}

void InventoryStock::activate(stele::ProjectionContext& context) {
  soci::session& sql = stele::sql(context);
  const std::string name = prefix_ + "inventory_stock";
  const std::string view = " VIEW " + name + " AS SELECT * FROM " + table_of(context);
  if (sql.get_backend_name() == "postgresql") {
    sql << "CREATE OR REPLACE" + view;  // So that the rights to read it stay.
    return;
  }
  sql << "DROP VIEW IF EXISTS " + name;  // One statement at a time: SOCI runs no more than that.
  sql << "CREATE" + view;
}

void InventoryStock::drop(stele::ProjectionContext& context) {
  soci::session& sql = stele::sql(context);
  // On PostgreSQL the view, if it still shows this table, would keep it from being dropped.
  const std::string view_too = sql.get_backend_name() == "postgresql" ? " CASCADE" : "";
  sql << "DROP TABLE IF EXISTS " + table_of(context) + view_too;
}

Inventory read_model(stele::EventStore& store, const std::string& prefix) {
  // An application reads through connections of its own. This one has none, and borrows one from the store.
  const auto transaction = store.driver().begin_read_model();
  soci::session& sql = stele::sql(*transaction);
  std::string workspace;
  std::string item;
  long long quantity = 0;
  std::string last_event;
  long long last_position = 0;
  soci::statement query =
      (sql.prepare << "SELECT workspace, item, quantity, last_event, last_position FROM " + prefix + "inventory_stock",
       soci::into(workspace), soci::into(item), soci::into(quantity), soci::into(last_event),
       soci::into(last_position));
  Inventory found;
  query.execute();
  while (query.fetch()) found[{workspace, item}] = {quantity, last_event, last_position};
  return found;
}

Inventory recomputed(stele::EventStore& store) {
  stele::LogReadOptions options;
  options.filter = InventoryStock().filter();
  Inventory made;
  for (const stele::RecordedEvent& event : store.read_log(options)) {
    Stock& stock = made[{event.stream.tenant, event.stream.id}];
    const Change change = change_of(event);
    stock.quantity = change.absolute ? change.number : stock.quantity + change.number;
    stock.last_event = event.event_id.to_string();
    stock.last_position = event.position.value();
  }
  return made;
}

}  // namespace inventory
