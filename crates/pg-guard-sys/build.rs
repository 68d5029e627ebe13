//! Compiles the C sources. It needs a C compiler and nothing else.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new("libpg_query");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut build = cc::Build::new();
    for sources in ["src", "src/postgres", "protobuf", "vendor/upb", "vendor/upb/third_party/utf8_range"] {
        build.files(c_files(&folder.join(sources))?);
    }
    for headers in
        ["", "vendor", "vendor/upb", "vendor/upb/third_party/utf8_range", "src/postgres/include", "src/include"]
    {
        build.include(folder.join(headers));
    }
    build
        // The same flags as in the Makefile of libpg_query.
        .flag("-fno-strict-aliasing")
        .flag("-fwrapv")
        // The warnings are for the authors of the C sources.
        .warnings(false);
    // The parser limits its depth by the size of its stack. Without optimisation its frames are so large that it
    // refuses statements at a tenth of the usual depth.
    if env::var("OPT_LEVEL").is_ok_and(|level| level == "0") {
        build.opt_level(1);
    }
    build.compile("pg_query");
    Ok(())
}

fn c_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    // The same order on every machine gives the same library.
    files.sort();
    Ok(files)
}
