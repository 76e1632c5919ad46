# Makes Rscript an interpreter for `runner.py`; see frames.py. Arguments: the descriptors of requests and replies.
# As at R's prompt each visible value is shown, the last one as the value of the code; so are plots, as images.
local({
  descriptors <- commandArgs(trailingOnly = TRUE)
  requests <- file(paste0("/dev/fd/", descriptors[[1]]), open = "rb", raw = TRUE)
  replies <- file(paste0("/dev/fd/", descriptors[[2]]), open = "wb", raw = TRUE)
  options(warn = 1, device = function(...) {
    grDevices::png(file.path(plots, "%05d.png"), width = 7, height = 7, units = "in", res = 100)
  })
  plots <- tempfile("plots-")
  dir.create(plots)

  send <- function(name, data = "") {
    body <- if (is.raw(data)) data else charToRaw(enc2utf8(paste(data, collapse = "\n")))
    writeBin(c(charToRaw(paste0(name, " ", length(body), "\n")), body), replies)
    flush(replies)
  }

  receive <- function() {
    line <- raw(0)
    repeat {
      byte <- readBin(requests, "raw", 1L)
      if (!length(byte)) quit(status = 0)
      if (byte == as.raw(10L)) break
      line <- c(line, byte)
    }
    head <- strsplit(rawToChar(line), " ", fixed = TRUE)[[1]]
    body <- raw(0)
    while (length(body) < as.integer(head[[2]])) {
      more <- readBin(requests, "raw", as.integer(head[[2]]) - length(body))
      if (!length(more)) quit(status = 0)
      body <- c(body, more)
    }
    text <- rawToChar(body)
    Encoding(text) <- "UTF-8"
    list(name = head[[1]], text = text)
  }

  show_plots <- function() {
    while (grDevices::dev.cur() > 1L) grDevices::dev.off()
    for (path in list.files(plots, full.names = TRUE)) {
      send("image/png", readBin(path, "raw", file.size(path)))
      send("display")
      unlink(path)
    }
  }

  run <- function(code) {
    expressions <- parse(text = code, keep.source = FALSE, encoding = "UTF-8")
    for (index in seq_along(expressions)) {
      shown <- withVisible(eval(expressions[[index]], globalenv()))
      if (shown$visible) {
        text <- utils::capture.output(print(shown$value))
        if (length(text)) { # a plot prints itself as none
          send("text/plain", text)
          send(if (index == length(expressions)) "main" else "display")
        }
      }
    }
  }

  fail <- function(kind, text, call = NULL) {
    send("error-name", kind)
    send("error-value", text)
    where <- if (is.null(call)) "Error" else paste0("Error in ", deparse(call, nlines = 1L)[[1]])
    send("error", paste0(where, ": ", text))
  }

  send("ready")
  repeat tryCatch({
    request <- receive()
    if (request$name == "code") {
      tryCatch(
        run(request$text),
        error = function(e) {
          own <- identical(conditionCall(e), quote(eval(expressions[[index]], globalenv()))) ||
            identical(conditionCall(e)[[1]], quote(parse))
          fail(class(e)[[1]], conditionMessage(e), if (own) NULL else conditionCall(e))
        },
        interrupt = function(i) fail("interrupt", "interrupted")
      )
      show_plots()
      flush(stdout())
      send("end")
    }
  }, interrupt = function(i) NULL) # one that came too late
})
