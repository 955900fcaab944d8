// What is in stock: a read model in the store's own database.
#pragma once

#include <stele/projection.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace inventory {

struct Stock {
  std::int64_t quantity = 0;
  std::string last_event;  ///< Its id.
  std::int64_t last_position = 0;
  friend bool operator==(const Stock&, const Stock&) = default;
};

/// By workspace (which is what this application calls a tenant) and item.
using Inventory = std::map<std::pair<std::string, std::string>, Stock>;

/// Keeps the table inventory_stock_<generation>; the view inventory_stock shows the one in use.
class InventoryStock final : public stele::Projection {
 public:
  /// `prefix` begins their names: a schema's, with its dot.
  explicit InventoryStock(std::string prefix = {}) : prefix_(std::move(prefix)) {}

  std::string name() const override { return "inventory_stock"; }
  stele::LogFilter filter() const override;
  void create(stele::ProjectionContext& context) override;
  void apply(const stele::RecordedEvent& event, stele::ProjectionContext& context) override;
  void activate(stele::ProjectionContext& context) override;
  void drop(stele::ProjectionContext& context) override;

 private:
  std::string table_of(const stele::ProjectionContext& context) const;

  const std::string prefix_;
};

/// What the view shows.
Inventory read_model(stele::EventStore& store, const std::string& prefix);

/// What it has to show: the sum of all events.
Inventory recomputed(stele::EventStore& store);

}  // namespace inventory
