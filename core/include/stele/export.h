// Marks what a shared build of Stele exports; everything else is hidden.
#pragma once

#if defined(__GNUC__)
#define STELE_API __attribute__((visibility("default")))
#else
#define STELE_API
#endif
