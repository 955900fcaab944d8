// Scripts for SQL Server are batches with GO between them, which is a word of the tools and not of the server.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace stele::mssql {

struct Batch {
  std::string_view text;
  std::size_t line;  ///< Where it begins in the script, from 1.
};

/// Splits at lines that are nothing but GO, outside of texts, names and comments. Batches without a statement are left
/// out.
std::vector<Batch> split_batches(std::string_view script);

}  // namespace stele::mssql
